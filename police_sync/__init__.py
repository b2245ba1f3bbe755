"""The duty: filing with the province, and a province to file with."""
