basalt_library(host_network
  SOURCES netlink_socket.cc route_messages.cc device_path.cc netlink_network.cc filter_messages.cc netlink_packet_filter.cc
    wireguard_messages.cc netlink_wireguard.cc resolve.cc
  DEPS api_messages base basalt::absl basalt::mnl)
