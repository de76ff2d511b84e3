// SPDX-License-Identifier: Apache-2.0
// A whole cluster in this process: the actors of `troupe node`, one rank on a thread of its own, and a client.
//
//   client -> router -> tokenizer -> router -> scheduler_rank -> engine_rank -> scheduler_rank -> router -> detokenizer
//          <-------------------------------------------------------------------------------- router <- detokenizer
//
// Run it from the repository root: build/release/example_one_node
// Before: generate_text.cpp. Next: two_ranks.cpp.
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include <caf/all.hpp>

#include "actors/client.hpp"
#include "actors/system_config.hpp"
#include "actors/thread_launcher.hpp"
#include "apps/troupe/serving.hpp"
#include "topology/cluster_file.hpp"

using namespace troupe;

namespace {

// What would otherwise be a file. `isolation: thread` makes the ranks actors of the node's process.
constexpr const char* topology_text = R"(
cluster: one-node
model: models/demo
nodes:
  a: {address: 127.0.0.1, port: 0}
groups:
  - name: g0
    ranks: [a/cpu:0]
isolation: thread
engine: {kv_memory: 16MiB}
)";

/// Streams the answer to standard output and returns it.
std::string ask(client& cluster, const std::string& question) {
  generation what;
  what.prompt.kind = prompt_kind::chat;
  what.prompt.messages = {{"user", question}};
  what.sampling.temperature = 0;
  what.stops.max_tokens = 64;
  std::printf("> %s\n", question.c_str());
  auto stream = cluster.generate(std::move(what));  // accepted, or an exception that says why not
  std::string answer;
  for (const auto& event : stream) {  // waits for the next piece; the last one has a finish reason
    std::fputs(event.text.c_str(), stdout);
    answer += event.text;
    if (event.finish == finish_reason::none) continue;
    std::printf("\n[%u prompt tokens, %u tokens, finish: %s]\n", event.usage.prompt_tokens,
                event.usage.completion_tokens, to_string(event.finish).c_str());
  }
  return answer;
}

int run_one_node() {
  // 1. The file is checked whole, and what belongs to the model but its weights is read.
  const auto file = parse_cluster_file(topology_text, "one_node.yaml");
  const auto model = read_model_bundle(file);

  // 2. Actors. Nothing is published, so the middleman, which does CAF's networking, stays away.
  system_config config{{.network = false, .threads = 0}};
  caf::actor_system system{config};
  auto launcher = std::make_shared<thread_launcher>(system, make_rank_recipe(system, file, "a", model));
  serving_scope actors{spawn_serving(system, file, model, "a", launcher)};  // they end with this scope

  // 3. The topology actor hears of the node, the node launches its rank, the rank loads, the group serves.
  actors->start();
  client cluster{system, actors->node};
  if (!cluster.wait_until_ready(std::chrono::seconds(60))) throw std::runtime_error("the group did not start");
  const auto answer = ask(cluster, "What is 27 + 15?");
  return answer == "27 + 15 = 42." ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run_one_node();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
