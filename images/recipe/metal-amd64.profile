# Real machines on amd64, and virtual ones as well: Debian's full kernel, with the drivers of common servers,
# small computers and network cards. UEFI only.
architecture amd64
kernel linux-image-amd64              # all drivers that Debian builds; which of them are here is in the lists
stub systemd-boot-efi                 # the EFI stub of the kernel image, and the boot loader
include root.list
include modules/watchdog.list
include modules/boot.list
include modules/metal.list
include modules/vm.list
include modules/k3s.list
include arguments-amd64.list
include-nonfree firmware-amd64.list
link /lib64 usr/lib64                 # where programs of amd64 look for their loader

partition ESP 512                     # boot loader and two or three kernel images
partition SLOT-A 1024                 # a root file system with its hash tree
partition SLOT-B 1024                 # the other one
partition STATE 256                   # keys, trust, machine config
partition DATA 1024                   # K3s, images, pods; grown to the end of the disk at the first boot
budget 52000000                       # the drivers of real machines, and no more than they take
