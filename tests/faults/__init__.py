"""The fault ring: every step of every verb meets faults, and nothing of ours must be needed to make it good again."""
