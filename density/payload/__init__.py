"""The program inside every instance, how it is made, and its channel to the controller."""
