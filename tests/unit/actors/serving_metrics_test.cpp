// SPDX-License-Identifier: Apache-2.0
#include "actors/serving_metrics.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

answer_event piece(std::size_t tokens) {
  answer_event event;
  event.tokens.resize(tokens);
  return event;
}

}  // namespace

TEST_CASE("the first tokens, those after them and the whole answer are timed") {
  caf::telemetry::metric_registry registry;
  serving_metrics metrics(registry);
  serving_metrics::progress way{serving_metrics::time_point{10s}, {}};
  metrics.note(way, piece(1), serving_metrics::time_point{10s + 50ms});
  metrics.note(way, piece(4), serving_metrics::time_point{10s + 130ms});
  auto last = piece(0);
  last.finish = finish_reason::length;
  last.usage = {7, 5, 0};
  metrics.note(way, last, serving_metrics::time_point{10s + 200ms});
  const auto text = prometheus_text(registry);
  CHECK_THAT(text, ContainsSubstring("troupe_time_to_first_token_seconds_sum 0.05"));
  CHECK_THAT(text, ContainsSubstring("troupe_inter_token_latency_seconds_count 4"));
  CHECK_THAT(text, ContainsSubstring("troupe_inter_token_latency_seconds_sum 0.08"));
  CHECK_THAT(text, ContainsSubstring("troupe_request_duration_seconds_sum 0.2"));
  CHECK_THAT(text, ContainsSubstring("troupe_requests_ended_total{reason=\"length\"} 1"));
  CHECK_THAT(text, ContainsSubstring("troupe_prompt_tokens_total 7"));
  CHECK_THAT(text, ContainsSubstring("troupe_generation_tokens_total 5"));
}

TEST_CASE("a count goes on when the router or the group that kept it begins anew") {
  caf::telemetry::metric_registry registry;
  serving_metrics metrics(registry);
  for (std::uint64_t steps : {5, 8, 2, 3}) {
    group_statistics statistics;
    statistics.steps = steps;
    metrics.show("g0", statistics);
  }
  CHECK_THAT(prometheus_text(registry), ContainsSubstring("troupe_steps_total{group=\"g0\"} 11"));
}
