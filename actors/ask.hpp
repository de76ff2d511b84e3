// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <utility>

#include <caf/all.hpp>

#include "actors/client.hpp"

namespace troupe {

/// Asks an actor and waits for its answer. Throws client_error.
template <class Result, class Handle, class Message>
Result ask(caf::actor_system& system, const Handle& actor, std::chrono::milliseconds timeout, Message message) {
  std::optional<Result> result;
  caf::scoped_actor self{system};
  self->request(actor, timeout, std::move(message))
      .receive([&](Result& value) { result = std::move(value); },
               [](const caf::error& reason) { throw client_error(code_name(reason), describe(reason)); });
  return std::move(*result);
}

/// The same for a message that is answered with nothing.
template <class Handle, class Message>
void tell(caf::actor_system& system, const Handle& actor, std::chrono::milliseconds timeout, Message message) {
  caf::scoped_actor self{system};
  self->request(actor, timeout, std::move(message))
      .receive([] {}, [](const caf::error& reason) { throw client_error(code_name(reason), describe(reason)); });
}

}  // namespace troupe
