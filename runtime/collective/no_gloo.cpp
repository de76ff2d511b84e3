// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "runtime/collective/gloo.hpp"

namespace troupe {

bool gloo_is_available() { return false; }

std::unique_ptr<communicator> make_gloo_communicator(const communicator_options&, bootstrap_store&) {
  throw std::invalid_argument(
      "this build has no Gloo, which groups over several hosts need: configure with -DTROUPE_GLOO=ON, or put all ranks "
      "of the group on one host");
}

}  // namespace troupe
