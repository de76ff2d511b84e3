// SPDX-License-Identifier: Apache-2.0
// Every message of actors/protocol.hpp, from bytes as they come from another machine.
#include <array>

#include <caf/all.hpp>
#include <caf/binary_deserializer.hpp>

#include "actors/protocol.hpp"
#include "actors/system_config.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace troupe;

namespace {

template <class Message>
void read(caf::actor_system& system, caf::span<const caf::byte> bytes) {
  caf::binary_deserializer source{system, bytes};
  Message message;
  static_cast<void>(source.apply(message));  // refused or accepted; what matters is that nothing breaks
}

template <class... Messages>
constexpr auto readers() {
  return std::array{&read<Messages>...};
}

/// What travels between machines, without the handles inside some of them: those are CAF's own to check.
constexpr auto all =
    readers<accepted, answer, cancel, grant, tokenize, tokenized, open_text, decode, text_decoded, close_text, enqueue,
            abort_request, step_plan, step_result, tokens_sampled, engine_started, rank_exited, put_value, get_value,
            group_statistics, router_status, node_status, group_view, cluster_view, node_state, rank_state>();

struct silent_system {
  system_config config{{.network = false, .threads = 1}};
  caf::actor_system system{config};
};

}  // namespace

/// The first byte picks the message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto& host = *new silent_system;  // never ended: CAF outlives no static object
  if (size == 0) return 0;
  all[data[0] % all.size()](host.system, caf::as_bytes(caf::make_span(data + 1, size - 1)));
  return 0;
}
