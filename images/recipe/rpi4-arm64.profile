# Raspberry Pi 4 and 400, from an SD card or a USB disk: its own firmware starts U-Boot, which is a UEFI like others,
# and from there on all is as on every machine. Made and checked file by file, not yet run on the hardware.
architecture arm64
kernel linux-image-arm64              # drivers of boards
stub systemd-boot-efi                 # the EFI stub of the kernel image, and the boot loader
package u-boot-rpi                    # UEFI for a machine that has none
package raspi-firmware                # starts the machine; not free software: --accept-nonfree-firmware
include root.list
include modules/watchdog-rpi4.list
include modules/boot.list
include modules/loader.list
include modules/rpi4.list
include modules/k3s.list
argument console=tty0                 # HDMI
argument console=ttyS1,115200         # the serial port on the pins 8 and 10, which becomes /dev/console
include arguments.list

esp start4.elf raspi-firmware:/usr/lib/raspi-firmware/start4.elf # the firmware proper
esp fixup4.dat raspi-firmware:/usr/lib/raspi-firmware/fixup4.dat # how it shares the memory
esp config.txt recipe:rpi4/config.txt # what it reads
esp u-boot.bin u-boot-rpi:/usr/lib/u-boot/rpi_4/u-boot.bin # what it starts
esp bcm2711-rpi-4-b.dtb linux-image-arm64:/usr/lib/linux-image-@kernel@/broadcom/bcm2711-rpi-4-b.dtb # the hardware of a Pi 4
esp bcm2711-rpi-400.dtb linux-image-arm64:/usr/lib/linux-image-@kernel@/broadcom/bcm2711-rpi-400.dtb # the hardware of a Pi 400

partition ESP 512                     # firmware, boot loader and two or three kernel images
partition SLOT-A 1024                 # a root file system with its hash tree
partition SLOT-B 1024                 # the other one
partition STATE 256                   # keys, trust, machine config
partition DATA 1024                   # K3s, images, pods; grown to the end of the card at the first boot
mbr ESP                               # boot ROMs of before 2021 know no GPT
budget 62000000                       # Debian's arm64 kernel is not compressed: 33 MB
