// SPDX-License-Identifier: Apache-2.0
// A test of one's own program against a cluster that breaks: an answer streams, a rank is killed in its middle, and the
// text is the one that comes without the kill. Everything is in this process; against a cluster elsewhere only the way
// to the client differs (client::connect).
//
// Run it from the repository root: build/release/example_survive_a_kill
// Faults and targets: actors/fault_injection.hpp, docs/faults.md.
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include <caf/all.hpp>

#include "actors/client.hpp"
#include "actors/fault_injection.hpp"
#include "actors/system_config.hpp"
#include "actors/thread_launcher.hpp"
#include "actors/trace_client.hpp"
#include "apps/troupe/logging.hpp"
#include "apps/troupe/serving.hpp"
#include "runtime/trace/trace_text.hpp"
#include "topology/cluster_file.hpp"

using namespace troupe;

namespace {

// `allow_faults` is what makes it breakable; without it every fault is refused.
constexpr const char* topology_text = R"(
cluster: survive
model: models/demo
nodes:
  a: {address: 127.0.0.1, port: 0}
groups:
  - name: g0
    tensor: 2
    ranks: [a/cpu:0, a/cpu:1]
isolation: thread
engine: {kv_memory: 16MiB, threads: 1}
allow_faults: true
)";

struct told {
  std::string text;
  request_id request;
};

told tell(client& cluster) {
  generation what;
  what.prompt.kind = prompt_kind::chat;
  what.prompt.messages = {{"user", "Spell the word extraordinary."}};
  what.sampling.temperature = 0.9F;  // sampled, not greedy: positions and seed decide, so it is exact all the same
  what.sampling.seed = 7;
  what.stops.max_tokens = 60;
  what.stops.ignore_eos = true;
  auto stream = cluster.generate(std::move(what));
  told result{{}, stream.info().request};
  for (const auto& event : stream) {
    if (event.finish == finish_reason::error) throw std::runtime_error(event.error);
    result.text += event.text;
  }
  return result;
}

int run() {
  start_logging("survive-a-kill", "error");
  const auto file = parse_cluster_file(topology_text, "survive_a_kill.yaml");
  const auto model = read_model_bundle(file);
  system_config config{{.network = false, .threads = 0}};
  caf::actor_system system{config};
  serving_extras extras;
  flight_recorder_options record;  // in memory, for the trace below
  record.identity.role = "node";
  record.identity.node = "a";
  extras.recorder = std::make_shared<flight_recorder>(std::move(record));
  auto recipe = make_rank_recipe(system, file, "a", model, {}, extras);
  serving_scope actors{
      spawn_serving(system, file, model, "a", std::make_shared<thread_launcher>(system, recipe), {}, extras)};
  actors->start();
  client cluster{system, actors->node};
  if (!cluster.wait_until_ready(std::chrono::seconds(60))) throw std::runtime_error("the group did not start");

  const auto undisturbed = tell(cluster);

  // The engine of rank 1 has sampled 60 tokens by now; it ends after ten more.
  fault_injection faults{system, cluster};
  faults.kill(rank_at("g0", 1), after_tokens(70));
  const auto disturbed = tell(cluster);

  std::printf("%s\n", disturbed.text.c_str());
  const auto trace = trace_client{system, cluster}.trace(trace_key_of(disturbed.request));
  std::printf("%s", trace_text(trace).c_str());
  if (disturbed.text != undisturbed.text) throw std::runtime_error("the texts differ");
  if (trace.recoveries.size() != 1) throw std::runtime_error("the trace shows no recovery");
  return 0;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
