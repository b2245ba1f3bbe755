"""What a process is told at its start: files, addresses, ports. Built once, passed down."""
