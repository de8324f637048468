"""One module per kind of load balancer: how a host leaves its rotation, and comes back."""
