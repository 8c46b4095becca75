# Virtual machines on arm64: KVM, QEMU, the clouds, and servers that start by UEFI as those do. UEFI only.
architecture arm64
kernel linux-image-cloud-arm64        # drivers of virtual machines only
stub systemd-boot-efi                 # the EFI stub of the kernel image, and the boot loader
include root.list
include modules/boot.list
include modules/loader.list
include modules/vm-arm64.list
include modules/k3s.list
include arguments-arm64.list

partition ESP 512                     # boot loader and two or three kernel images
partition SLOT-A 1024                 # a root file system with its hash tree
partition SLOT-B 1024                 # the other one
partition STATE 256                   # keys, trust, machine config
partition DATA 1024                   # K3s, images, pods; grown to the end of the disk at the first boot
budget 54000000                       # Debian's arm64 kernel is not compressed: 27 MB
