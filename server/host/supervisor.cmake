# The client of noded-init's channel. It shares only the POD header of the wire protocol with it.
basalt_library(host_supervisor SOURCES supervisor_spec.cc supervisor_channel.cc supervisor_client.cc
  DEPS api_messages host_clock basalt::absl)
