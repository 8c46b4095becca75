// A capture, in noded-wire: a packet socket with the caller's filter, opened with the rights of
// root, which are given up before the first packet is looked at.
#pragma once

namespace basalt::diagnose {

int CaptureMain();

}  // namespace basalt::diagnose
