"""A BLE gateway, simulated: it carries what is sealed between server and locks, and can do nothing else."""
