// SPDX-License-Identifier: Apache-2.0
// Two ranks that split every layer between them (tensor parallel), each on a thread of its own; what ran where, and
// where the time went. The answer is the same as that of one rank, token for token.
//
// Run it from the repository root: build/release/example_two_ranks
// Before: one_node.cpp, which shows the actors that local_cluster hides.
#include <cstdio>
#include <exception>
#include <string>

#include "actors/client.hpp"
#include "apps/troupe/local_cluster.hpp"
#include "apps/troupe/logging.hpp"

using namespace troupe;

namespace {

std::string ask(client& cluster, const std::string& question) {
  generation what;
  what.prompt.kind = prompt_kind::chat;
  what.prompt.messages = {{"user", question}};
  what.sampling.temperature = 0;
  what.stops.max_tokens = 64;
  std::string answer;
  for (const auto& event : cluster.generate(std::move(what)))
    answer += event.text;
  return answer;
}

/// Who is in the cluster: the same that `troupe status` prints.
std::size_t print_ranks(const cluster_view& view) {
  std::size_t ranks = 0;
  for (const auto& group : view.groups) {
    std::printf("group %s: %s, epoch %llu, %u blocks of %u tokens\n", group.name.c_str(),
                to_string(group.phase).c_str(), static_cast<unsigned long long>(group.epoch), group.blocks,
                group.block_tokens);
    for (const auto& member : group.members)
      std::printf("  rank %u on %s/%s\n", member.rank, member.node.c_str(), member.device.c_str());
    ranks += group.members.size();
  }
  return ranks;
}

/// Counted by the group's rank 0, whose scheduler writes the step plans for both.
void print_statistics(const group_statistics& x) {
  std::printf("%llu steps fed %llu tokens and sampled %llu\n", static_cast<unsigned long long>(x.steps),
              static_cast<unsigned long long>(x.tokens_planned), static_cast<unsigned long long>(x.tokens_sampled));
  std::printf("%.1f ms with a step under way, %.1f ms of it in the executor\n", static_cast<double>(x.active_us) / 1e3,
              static_cast<double>(x.busy_us) / 1e3);
  std::printf("%llu prompt tokens were not computed again: their KV cache was still there\n",
              static_cast<unsigned long long>(x.scheduler.prefix_tokens_reused));
}

int run_two_ranks() {
  start_logging("two-ranks", "warning");  // what the actors say goes to standard error
  local_cluster_options options;
  options.model = "models/demo";
  options.tensor = 2;
  options.engine.kv_memory_bytes = 16 << 20;
  local_cluster cluster{options, terminal_progress("loading")};
  auto connection = cluster.connect();

  const auto ranks = print_ranks(connection.status().view);
  const auto sum = ask(connection, "What is 27 + 15?");
  // The chat template's opening is the same in both prompts, and whole blocks of a prompt are computed once.
  const auto again = ask(connection, "What is 27 + 15?");
  std::printf("%s\n%s\n", sum.c_str(), again.c_str());
  const auto statistics = connection.statistics("g0");
  print_statistics(statistics);
  const bool right = ranks == 2 && sum == "27 + 15 = 42." && again == sum && statistics.tokens_sampled > 0;
  return right ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run_two_ranks();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
