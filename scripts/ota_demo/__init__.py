"""The parts of `make demo-ota`: networks, a camera, devices, a web server, the control room."""
