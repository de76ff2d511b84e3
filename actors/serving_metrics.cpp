// SPDX-License-Identifier: Apache-2.0
#include "actors/serving_metrics.hpp"

#include <array>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <caf/telemetry/collector/prometheus.hpp>
#include <caf/telemetry/counter.hpp>
#include <caf/telemetry/gauge.hpp>
#include <caf/telemetry/histogram.hpp>

namespace troupe {
namespace {

constexpr std::array first_token_bounds{0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0, 2.0, 5.0, 10.0, 30.0};
constexpr std::array between_bounds{0.002, 0.004, 0.006, 0.01, 0.015, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0};
constexpr std::array whole_bounds{0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0};

double seconds(serving_metrics::time_point::duration time) { return std::chrono::duration<double>(time).count(); }

template <std::size_t N>
caf::telemetry::dbl_histogram* make_histogram(caf::telemetry::metric_registry& registry, std::string_view name,
                                              const std::array<double, N>& bounds, std::string_view help) {
  return registry.histogram_singleton<double>("troupe", {name.data(), name.size()}, {bounds.data(), N},
                                              {help.data(), help.size()}, "seconds");
}

caf::telemetry::int_counter* counter(caf::telemetry::metric_registry& registry, const std::string& name,
                                     const std::string& help, const std::string& label, const std::string& value) {
  if (label.empty()) return registry.counter_singleton("troupe", name, help, "1", true);
  return registry.counter_instance("troupe", name, {{label, value}}, help, "1", true);
}

}  // namespace

serving_metrics::serving_metrics(caf::telemetry::metric_registry& registry)
    : registry_(registry),
      first_token_(make_histogram(registry, "time-to-first-token", first_token_bounds,
                                  "From an HTTP request's body to its first tokens.")),
      between_tokens_(make_histogram(registry, "inter-token-latency", between_bounds,
                                     "Between two pieces of an answer, for each token of the later one.")),
      whole_(make_histogram(registry, "request-duration", whole_bounds,
                            "From an HTTP request's body to the end of its answer.")) {}

void serving_metrics::note(progress& of, const answer_event& event, time_point now) {
  if (const auto tokens = event.tokens.size(); tokens > 0) {
    if (!of.last)
      first_token_->observe(seconds(now - of.begun));
    else
      for (std::size_t i = 0; i < tokens; ++i)
        between_tokens_->observe(seconds(now - *of.last) / static_cast<double>(tokens));
    of.last = now;
  }
  if (event.finish == finish_reason::none) return;
  whole_->observe(seconds(now - of.begun));
  const auto reason = event.error_code.empty() ? to_string(event.finish) : event.error_code;
  counter(registry_, "requests-ended", "HTTP requests by how their answers ended.", "reason", reason)->inc();
  counter(registry_, "prompt-tokens", "Tokens of the prompts of HTTP requests that ended.", "", "")
      ->inc(event.usage.prompt_tokens);
  counter(registry_, "generation-tokens", "Tokens of the answers to HTTP requests that ended.", "", "")
      ->inc(event.usage.completion_tokens);
}

void serving_metrics::refuse(const std::string& code) {
  counter(registry_, "requests-refused", "HTTP requests that no group took, by the error's code.", "code", code)->inc();
}

void serving_metrics::raise(const std::string& name, const std::string& help, const std::string& group,
                            std::uint64_t value) {
  auto& before = known_[{name, group}];
  const auto more = value >= before ? value - before : value;
  before = value;
  auto* count = counter(registry_, name, help, group.empty() ? "" : "group", group);
  if (more > 0) count->inc(static_cast<std::int64_t>(more));
}

void serving_metrics::set(const std::string& name, const std::string& help, const std::string& group, double value) {
  auto* gauge = group.empty() ? registry_.gauge_singleton<double>("troupe", name, help)
                              : registry_.gauge_instance<double>("troupe", name, {{"group", group}}, help);
  gauge->value(value);
}

void serving_metrics::show(const node_status& status) {
  const auto& router = status.router;
  set("router-requests", "Requests of this node's router that have not ended.", "", static_cast<double>(router.live));
  const std::array<std::tuple<const char*, const char*, std::uint64_t>, 7> counts{{
      {"router-accepted", "Requests accepted by this node's router.", router.accepted},
      {"router-completed", "Requests ended by a stop or their length.", router.completed},
      {"router-failed", "Accepted requests ended by an error.", router.failed},
      {"router-cancelled", "Requests that their clients gave up.", router.cancelled},
      {"router-moved", "Requests that went on in another epoch or group after a loss.", router.moved},
      {"router-resumed", "Requests taken up by clients that held a part of the answer.", router.resumed},
      {"router-poisoned", "Requests ended because they crashed a group twice.", router.poisoned},
  }};
  for (const auto& [name, help, value] : counts)
    raise(name, help, "", value);
  for (const auto& group : status.view.groups)
    set("group-serving", "1 while the group serves; every node says it of all groups.", group.name,
        group.phase == group_phase::serving ? 1 : 0);
  raise("epochs-begun", "Since the topology actor started; every node says the same.", "", status.view.counts.epochs);
  raise("epochs-ended", "Since the topology actor started; every node says the same.", "", status.view.counts.ends);
}

void serving_metrics::show(const std::string& group, const group_statistics& statistics) {
  const auto& scheduler = statistics.scheduler;
  const std::array<std::tuple<const char*, const char*, std::uint64_t>, 5> levels{{
      {"requests-running", "Sequences that hold KV blocks.", scheduler.running},
      {"requests-waiting", "Requests without KV blocks.", scheduler.waiting},
      {"kv-blocks-used", "KV blocks that sequences use.", scheduler.blocks_used},
      {"kv-blocks-cached", "KV blocks that hold a prefix no sequence uses.", scheduler.blocks_cached},
      {"kv-blocks-free", "KV blocks that hold nothing.", scheduler.blocks_free},
  }};
  for (const auto& [name, help, value] : levels)
    set(name, help, group, static_cast<double>(value));
  const std::array<std::tuple<const char*, const char*, std::uint64_t>, 6> counts{{
      {"steps", "Steps of the group in this epoch and those before it.", statistics.steps},
      {"tokens-planned", "Tokens fed by these steps.", statistics.tokens_planned},
      {"tokens-sampled", "Tokens these steps gave.", statistics.tokens_sampled},
      {"prefix-tokens-reused", "Tokens not fed because their KV was there.", scheduler.prefix_tokens_reused},
      {"preemptions", "Sequences that gave way and were computed again.", scheduler.preemptions},
      {"engine-busy-microseconds", "Time of the group's engine within steps.", statistics.busy_us},
  }};
  for (const auto& [name, help, value] : counts)
    raise(name, help, group, value);
}

std::string prometheus_text(const caf::telemetry::metric_registry& registry) {
  caf::telemetry::collector::prometheus collector;
  const auto text = collector.collect_from(registry);
  return {text.data(), text.size()};
}

}  // namespace troupe
