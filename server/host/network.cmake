basalt_library(host_network
  SOURCES netlink_socket.cc route_messages.cc device_path.cc netlink_network.cc filter_messages.cc netlink_packet_filter.cc
    wireguard_messages.cc netlink_wireguard.cc resolve.cc gateway.cc
  DEPS api_messages base basalt::absl basalt::mnl)
basalt_library(host_devices SOURCES devices.cc DEPS host_network basalt::absl)
