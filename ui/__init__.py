"""What people see: clients of the daemon's socket, which hold nothing."""
