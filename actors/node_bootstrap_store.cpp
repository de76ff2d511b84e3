// SPDX-License-Identifier: Apache-2.0
#include "actors/node_bootstrap_store.hpp"

#include <stdexcept>

namespace troupe {

void node_bootstrap_store::set(const std::string& key, std::vector<std::byte> value) {
  caf::scoped_actor self{system_};
  std::string text(reinterpret_cast<const char*>(value.data()), value.size());
  self->request(node_, std::chrono::seconds(5), put_value{key, std::move(text)})
      .receive(
          [] {},
          [&](const caf::error& reason) {
            throw std::runtime_error("the address of this rank could not be told to the others: " + describe(reason));
          });
}

std::optional<std::vector<std::byte>> node_bootstrap_store::get(const std::string& key,
                                                                std::chrono::steady_clock::time_point deadline) {
  caf::scoped_actor self{system_};
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  std::optional<std::vector<std::byte>> result;
  self->request(node_, std::max(left, std::chrono::milliseconds(1)), get_value{key})
      .receive(
          [&](const std::string& text) {
            auto bytes = reinterpret_cast<const std::byte*>(text.data());
            result.emplace(bytes, bytes + text.size());
          },
          [](const caf::error&) {});  // nobody has set it in time: the caller says whom it waited for
  return result;
}

}  // namespace troupe
