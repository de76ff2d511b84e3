// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "runtime/collective/nccl.hpp"

namespace troupe {

bool nccl_is_available() { return false; }

std::unique_ptr<device_communicator> make_nccl_communicator(const communicator_options&, bootstrap_store&,
                                                            std::size_t) {
  throw std::invalid_argument(
      "this build has no NCCL, which a group of several CUDA ranks needs: install it (./dev deps cuda says how), build "
      "again with ./dev build cuda, or give each device a group of its own");
}

}  // namespace troupe
