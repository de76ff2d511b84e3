// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/make_communicator.hpp"

#include <limits>
#include <stdexcept>

#include "runtime/collective/checks.hpp"
#include "runtime/collective/gloo.hpp"
#include "runtime/collective/segment_communicator.hpp"
#include "runtime/collective/shared_memory_join.hpp"
#include "runtime/collective/single_communicator.hpp"

namespace troupe {

std::unique_ptr<communicator> make_communicator(const communicator_options& options, bootstrap_store& store) {
  check_membership(options, std::numeric_limits<int>::max());
  if (options.size == 1) return std::make_unique<single_communicator>();
  switch (options.kind) {
    case communicator_kind::local:
    case communicator_kind::shared_memory:
      return std::make_unique<segment_communicator>(join_shared_memory(options), options);
    case communicator_kind::gloo:
      return make_gloo_communicator(options, store);
  }
  throw std::invalid_argument("unknown kind of communicator");
}

}  // namespace troupe
