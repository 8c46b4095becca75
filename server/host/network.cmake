basalt_library(host_network
  SOURCES netlink_socket.cc route_messages.cc device_path.cc netlink_network.cc
  DEPS api_messages basalt::absl basalt::mnl)
