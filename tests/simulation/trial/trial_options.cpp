// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/trial_options.hpp"

#include <charconv>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/simulation/world/random_stream.hpp"

namespace troupe::simulation {

network_options trial_options::links() const {
  return {delay_us, jitter_us, static_cast<double>(spikes) / 1000, spike_ms, reorder != 0};
}

std::string to_string(mode x) {
  constexpr const char* names[] = {"one", "several", "spares"};
  return names[static_cast<int>(x)];
}

namespace {

/// The shape: small, because faults in small clusters meet all the same states and cost less time.
void draw_shape(trial_options& o, random_stream& r) {
  constexpr std::uint64_t shapes[][2] = {{1, 1}, {2, 1}, {2, 1}, {1, 2}, {4, 1}, {2, 2}};
  const auto& shape = shapes[r.below(o.mode == mode::one ? 6 : 4)];
  o.tensor = shape[0];
  o.pipeline = shape[1];
  o.groups = o.mode == mode::one ? 1 : r.between(o.mode == mode::several ? 2 : 1, 2);
  o.nodes = o.mode == mode::one ? r.between(1, 2) : r.between(2, 3);
  o.spares = o.mode == mode::spares ? r.between(1, 2) : 0;
  o.blocks = r.chance(0.2) ? r.between(8, 16) : 64;
  o.vocabulary = r.chance(0.3) ? 2048 : 1U << 20U;
}

void draw_links(trial_options& o, random_stream& r) {
  o.delay_us = r.chance(0.5) ? r.between(20, 200) : r.between(200, 3000);
  o.jitter_us = r.between(0, 2 * o.delay_us);
  o.spikes = r.chance(0.3) ? r.between(1, 20) : 0;
  o.spike_ms = r.chance(0.3) ? r.between(100, 450) : r.between(5, 100);
  o.reorder = r.below(2);
  o.overtaking = r.chance(0.5) ? r.between(1, 100) : 0;
  o.step_us = r.chance(0.5) ? r.between(200, 3000) : r.between(3000, 30000);
}

void draw_workload(trial_options& o, random_stream& r) {
  o.clients = r.between(1, 2);
  o.requests = r.between(1, 6);
  o.prompt_max = r.chance(0.2) ? 120 : r.between(1, 30);
  o.tokens_max = r.between(1, 60);
  o.credit_max = r.chance(0.3) ? r.between(1, 3) : 32;
  o.cancels = r.chance(0.3) ? r.between(5, 50) : 0;
  o.slow_clients = r.chance(0.3) ? r.between(10, 60) : 0;
}

/// Each class is on in a part of the seeds only: what happens with few kinds of faults is not what happens with all.
void draw_faults(trial_options& o, random_stream& r) {
  o.busy_ms = r.between(500, 6000);
  auto some = [&](double share, std::uint64_t most) { return r.chance(share) ? r.between(1, most) : 0; };
  o.kill_rank = some(0.5, 3);
  o.kill_node = some(0.2, 2);
  o.kill_client = some(0.1, 1);
  o.kill_actor = some(0.2, 2);
  o.freeze = some(0.35, 3);
  o.cut = some(0.25, 2);
  o.one_way = some(0.25, 2);
  o.flap = some(0.15, 1);
  o.reset = some(0.3, 4);
  o.hang = some(0.15, 1);
  o.engine_failure = some(0.2, 2);
  o.slow_engine = some(0.2, 2);
  o.duplicate = r.chance(0.3) ? r.between(10, 300) : 0;
  o.disk_full = some(0.05, 1);
}

/// Where nothing else goes wrong, what a poison request may cost is certain.
void draw_poison(trial_options& o, random_stream& r) {
  if (!r.chance(0.12)) return;
  if (r.chance(0.5)) for_each_fault(o, [](std::string_view, std::uint64_t& count) { count = 0; });
  o.poison = r.between(1, 2);
}

}  // namespace

trial_options draw_options(std::uint64_t seed, mode which) {
  trial_options o;
  o.seed = seed;
  o.mode = which;
  auto stream = [&](std::string_view what) {
    return random_stream{seed, fmt::format("{} {}", to_string(which), what)};
  };
  auto shape = stream("shape"), links = stream("links"), work = stream("work"), faults = stream("fault classes"),
       poison = stream("poison");
  draw_shape(o, shape);
  draw_links(o, links);
  draw_workload(o, work);
  draw_faults(o, faults);
  draw_poison(o, poison);
  auto limits = stream("limits"), topology = stream("topology"), waits = stream("waits");
  o.queue = limits.chance(0.2) ? limits.between(1, 3) : 16;
  o.shrink = limits.chance(0.4) ? 1 : 0;
  auto calm = true;
  for_each_fault(o, [&](std::string_view, std::uint64_t& count) { calm = calm && count == 0; });
  if (!calm && topology.chance(0.15)) o.kill_topology = topology.between(1, 2);
  o.max_wait_ms = waits.chance(0.3) ? waits.between(1, 50) : 0;
  return o;
}

void for_each_fault(trial_options& o, const std::function<void(std::string_view, std::uint64_t&)>& visit) {
  visit("kill_rank", o.kill_rank);
  visit("kill_node", o.kill_node);
  visit("kill_client", o.kill_client);
  visit("kill_actor", o.kill_actor);
  visit("freeze", o.freeze);
  visit("cut", o.cut);
  visit("one_way", o.one_way);
  visit("flap", o.flap);
  visit("reset", o.reset);
  visit("hang", o.hang);
  visit("engine_failure", o.engine_failure);
  visit("slow_engine", o.slow_engine);
  visit("duplicate", o.duplicate);
  visit("disk_full", o.disk_full);
  visit("poison", o.poison);
  visit("kill_topology", o.kill_topology);
}

void for_each_field(trial_options& o, const std::function<void(std::string_view, std::uint64_t&)>& visit) {
  visit("nodes", o.nodes);
  visit("groups", o.groups);
  visit("tensor", o.tensor);
  visit("pipeline", o.pipeline);
  visit("spares", o.spares);
  visit("blocks", o.blocks);
  visit("vocabulary", o.vocabulary);
  visit("queue", o.queue);
  visit("max_wait_ms", o.max_wait_ms);
  visit("shrink", o.shrink);
  visit("delay_us", o.delay_us);
  visit("jitter_us", o.jitter_us);
  visit("spikes", o.spikes);
  visit("spike_ms", o.spike_ms);
  visit("reorder", o.reorder);
  visit("overtaking", o.overtaking);
  visit("step_us", o.step_us);
  visit("clients", o.clients);
  visit("requests", o.requests);
  visit("prompt_max", o.prompt_max);
  visit("tokens_max", o.tokens_max);
  visit("credit_max", o.credit_max);
  visit("cancels", o.cancels);
  visit("slow_clients", o.slow_clients);
  visit("busy_ms", o.busy_ms);
  visit("cut_ms", o.cut_ms);
  for_each_fault(o, visit);
}

std::string to_string(const trial_options& options) {
  auto copy = options;
  std::string text;
  for_each_field(copy, [&](std::string_view name, std::uint64_t& value) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, value);
  });
  if (!options.without.empty()) text += fmt::format(" without={}", fmt::join(options.without, ","));
  return text;
}

namespace {

std::uint64_t number(std::string_view name, std::string_view text) {
  std::uint64_t value = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size())
    throw std::invalid_argument(fmt::format("option {} needs a number, not '{}'", name, text));
  return value;
}

void apply_one(trial_options& options, std::string_view name, std::string_view value) {
  if (name == "without") {
    while (!value.empty()) {
      auto comma = std::min(value.find(','), value.size());
      options.without.push_back(number(name, value.substr(0, comma)));
      value.remove_prefix(std::min(comma + 1, value.size()));
    }
    return;
  }
  bool known = false;
  for_each_field(options, [&](std::string_view field, std::uint64_t& target) {
    if (field != name) return;
    target = number(name, value);
    known = true;
  });
  if (!known) throw std::invalid_argument(fmt::format("there is no option '{}'", name));
}

}  // namespace

void set_fields(trial_options& options, std::string_view text) {
  while (!text.empty()) {
    auto space = std::min(text.find(' '), text.size());
    auto word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (word.empty()) continue;
    auto equal = word.find('=');
    if (equal == std::string_view::npos) throw std::invalid_argument(fmt::format("'{}' is not name=value", word));
    apply_one(options, word.substr(0, equal), word.substr(equal + 1));
  }
}

}  // namespace troupe::simulation
