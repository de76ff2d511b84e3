// SPDX-License-Identifier: Apache-2.0
// Engines that stand still, and actors of a node that are replaced while requests run.
#include <memory>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "actors/detokenizer.hpp"
#include "actors/tokenizer.hpp"
#include "tests/support/simulated_cluster.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

/// Text actors like those of the cluster, which this test owns.
struct own_text_actors {
  explicit own_text_actors(simulated_cluster& cluster)
      : handles{{cluster.system.spawn<tokenizer_impl>(std::make_shared<const prompt_encoder>())},
                cluster.system.spawn<detokenizer_impl>(nullptr)} {}
  ~own_text_actors() { kill(); }

  void kill() {
    caf::anon_send_exit(handles.tokenizers.front(), caf::exit_reason::kill);
    caf::anon_send_exit(handles.detokenizer, caf::exit_reason::kill);
  }

  text_actors handles;
};

}  // namespace

TEST_CASE("a detokenizer that dies in the middle of answers changes nothing of them") {
  std::function<void()> at_step_ten;
  script ranks = [&](const scripted_start&) {
    scripted_options options;
    options.before_step = [&](const step_plan& plan) {
      if (plan.step == 10) at_step_ten();
    };
    return options;
  };
  simulated_cluster cluster{{.ranks = ranks}};
  own_text_actors first{cluster}, second{cluster};
  caf::anon_send(cluster.router, first.handles);
  at_step_ten = [&] {
    first.kill();
    caf::anon_send(cluster.router, second.handles);
  };
  std::vector<std::uint64_t> tickets;
  for (token_id prompt = 1; prompt <= 3; ++prompt)
    tickets.push_back(cluster.submit_tokens({prompt, 2, 3}, 40));
  cluster.pass(5s);
  for (token_id prompt = 1; prompt <= 3; ++prompt) {
    const auto& view = cluster.view(tickets[static_cast<std::size_t>(prompt) - 1]);
    REQUIRE(view.ended());
    CHECK(view.tokens == cluster.foretold({prompt, 2, 3}, 40));
    CHECK(view.last().finish == finish_reason::length);
  }
}

TEST_CASE("a request whose tokenizer dies is asked again, and refused with one error when it ends a second one") {
  simulated_cluster cluster;
  own_text_actors dead{cluster}, good{cluster};
  caf::anon_send(cluster.router, dead.handles);
  cluster.settle();
  dead.kill();
  cluster.settle();
  auto saved = cluster.submit_tokens({1, 2, 3}, 5);
  cluster.settle();
  caf::anon_send(cluster.router, good.handles);
  cluster.pass(2s);
  CHECK(cluster.view(saved).tokens == cluster.foretold({1, 2, 3}, 5));
  good.kill();
  cluster.settle();
  auto refused = cluster.submit_tokens({1, 2, 3}, 5);
  cluster.pass(2s);
  CHECK(cluster.view(refused).refusal == "text_failed");
}
