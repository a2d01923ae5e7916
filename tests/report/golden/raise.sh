#!/bin/sh
# Raises the limits of this host so that 5,000 instances fit: containers: web (docker). Made by
# density 0.1.0; what an instance costs: declared or typical, as none was measured.
#
#   sh SCRIPT         raise them, now and at every boot
#   sh SCRIPT undo    put back what was found, and forget
#
# A limit becomes what is used now, plus the reserve that the host keeps, plus what the instances
# cost and 10% of that. What is high enough is left alone, and nothing is ever lowered. What was
# found is kept in /var/lib/density/raised until undo.
#
# Not in here, as no setting does it:
# - network.bridge_ports docker0: 0 used, 1 each (typical): full at 1,023; 5,000 need 5,500 ports.
#   spread the workload over several networks, or use network = "none" or "host"
# - memory.available: 1 GiB used, 2 GiB kept, 6 MiB each (typical): full at 3,584; 5,000 need 35.3
#   GiB. give instances less memory, add swap or memory, or merge equal pages: echo 1 >
#   /sys/kernel/mm/ksm/run

# shellcheck disable=SC2317 # which of the functions are called depends on the limits
limits() {
    # tasks.cgroup containerd: 40 used, 64 kept, 12 each (typical): full at 400; 5,000 need 66,200
    # tasks
    raise_unit containerd.service TasksMax 66200
    # tasks.pid_max: 312 used, 1,600 kept, 13 each (typical): full at 2,373; 5,000 need 73,500 tasks
    raise_sysctl kernel.pid_max 73500
    # files.process dockerd: 147 used, 64 kept, 8 each (typical): full at 2,473; 5,000 need 44,300
    # files
    # No process may be given more than this.
    raise_sysctl fs.nr_open 44300
    raise_unit docker.service LimitNOFILE 44300
}

