// SPDX-License-Identifier: Apache-2.0
// One rank that leads a group of its own, and the lease without which it plans nothing.
#include <catch2/catch_test_macros.hpp>

#include "actors/engine_rank.hpp"
#include "actors/scheduler_rank.hpp"
#include "runtime/engine/scripted_executor.hpp"
#include "tests/support/deterministic_system.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t cluster_of_test = 7;
constexpr std::uint64_t epoch_of_test = 5;

struct leading_rank : deterministic_system {
  caf::actor listener = system.spawn(listen);
  scheduler_rank_actor rank = spawn_rank();
  caf::scoped_actor node{system};  // speaks; what the rank says goes to `listener`
  bool accepted = false;
  std::size_t tokens = 0;

  leading_rank() {
    node->send(rank, join_group{view(group_phase::starting), {rank}, 0});
    settle();
    node->send(rank, join_group{view(group_phase::serving), {rank}, 0});
    settle();
  }

  ~leading_rank() {
    node->send_exit(rank, caf::exit_reason::kill);
    node->send_exit(listener, caf::exit_reason::kill);
    settle();
  }

  /// A router asks for an answer of `count` tokens.
  void ask(std::uint32_t count) {
    system.spawn([this, count](caf::event_based_actor* self) -> caf::behavior {
      enqueue message;
      message.epoch = {epoch_of_test};
      message.cluster = cluster_of_test;
      message.request.id = {1};
      message.request.tokens = {4, 5, 6};
      message.request.prompt_tokens = 3;
      message.request.sampling.temperature = 0;
      message.request.stops.max_tokens = count;
      self->request(rank, caf::infinite, std::move(message)).then([this] { accepted = true; });
      return {[this](const tokens_sampled& parcel) {
        for (const auto& update : parcel.updates)
          tokens += update.tokens.size();
      }};
    });
    settle();
  }

  void lease_until(std::chrono::nanoseconds end) {
    node->send(rank, hold_lease{{epoch_of_test}, cluster_of_test, end.count()});
    settle();
  }

 private:
  static caf::behavior listen(caf::event_based_actor* self) {
    self->set_default_handler(caf::drop);
    return {[](caf::unit_t) {}};
  }

  scheduler_rank_actor spawn_rank() {
    scheduler_rank_options options;
    options.identity.node = "a";
    options.identity.device = "cpu:0";
    options.identity.incarnation = 1;
    options.cluster = cluster_of_test;
    options.scheduler.context_length = 512;
    options.scheduler.max_batch_tokens = 64;
    auto spawn_engine = [this] {
      return engine_rank_actor{system.spawn<engine_rank_impl>(
          executor_factory{[](const group_view&) { return std::make_unique<scripted_executor>(scripted_options{}); }},
          load_progress{})};
    };
    return system.spawn<scheduler_rank_impl>(caf::actor_cast<node_actor>(listener), options,
                                             std::function<engine_rank_actor()>{spawn_engine});
  }

  static group_view view(group_phase phase) {
    group_view view;
    view.name = "g0";
    view.cluster = cluster_of_test;
    view.epoch = epoch_of_test;
    view.phase = phase;
    view.members = {{0, "a", "cpu:0", 1, 1, 0, {}}};
    view.blocks = 64;
    view.block_tokens = 16;
    return view;
  }
};

}  // namespace

TEST_CASE("a request that comes before a rank's first lease is planned as soon as there is one") {
  leading_rank x;
  x.ask(9);
  CHECK(x.accepted);
  CHECK(x.tokens == 0);
  x.lease_until(2s);
  CHECK(x.tokens == 9);
}

TEST_CASE("a rank whose lease is over plans nothing until it has one again") {
  leading_rank x;
  x.lease_until(1s);
  x.pass(1500ms);
  x.ask(9);
  CHECK(x.tokens == 0);
  x.lease_until(3s);
  CHECK(x.tokens == 9);
}
