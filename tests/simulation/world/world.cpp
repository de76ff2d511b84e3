// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/world/world.hpp"

#include <algorithm>

namespace troupe::simulation {

world::world(std::uint64_t seed, network_options links, double overtaking)
    : schedule_(seed, "schedule"), wires_(time_, random_stream{seed, "network"}, links), overtaking_(overtaking) {}

void world::end() {
  time_.clear();
  for (auto& member : processes_)
    member->end();
  live_.clear();
  time_.clear();
}

process& world::start(std::string name, std::string host) {
  auto id = static_cast<std::uint32_t>(processes_.size() + 1);
  processes_.push_back(std::make_unique<process>(id, std::move(name), std::move(host), wires_, time_.now()));
  wires_.add(*processes_.back());
  live_.push_back(processes_.back().get());
  return *processes_.back();
}

void world::kill(process& which) {
  if (!which.alive()) return;
  mix(which.id());
  which.end();
  std::erase(live_, &which);
}

void world::freeze(process& which, span length) {
  if (!which.alive() || which.frozen()) return;
  which.freeze();
  wires_.freeze_changed(which);
  time_.after(length, [this, &which] {
    if (!which.alive()) return;
    which.thaw(time_.now());
    wires_.freeze_changed(which);
  });
}

void world::mix(std::uint64_t value) {
  hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15U;
  hash_ ^= hash_ >> 29;
}

instant world::next_due() const {
  auto due = time_.empty() ? instant::max() : time_.next();
  for (const auto* member : live_)
    due = std::min(due, member->next_timer());
  return due;
}

void world::move_time(instant to) {
  time_.set_now(std::max(to, time_.now()));
  for (auto* member : live_)
    if (!member->frozen()) member->advance_to(time_.now());
  time_.run_due();
}

bool world::step() {
  std::size_t jobs = 0;
  for (const auto* member : live_)
    jobs += member->jobs();
  if (jobs == 0 || (overtaking_ > 0 && schedule_.chance(overtaking_))) {
    auto due = next_due();
    if (due == instant::max()) return jobs > 0;
    // Time that overtakes waiting messages does so by little: a busy process is late, not stopped.
    if (jobs == 0 || due - time_.now() < ms(5)) {
      move_time(due);
      return true;
    }
  }
  auto chosen = schedule_.below(jobs);
  for (auto* member : live_) {
    if (chosen >= member->jobs()) {
      chosen -= member->jobs();
      continue;
    }
    auto actor = member->run(chosen);
    ++messages_;
    mix(actor ^ static_cast<std::uint64_t>(time_.now().time_since_epoch().count()) << 16U);
    break;
  }
  if (after_message) after_message();
  return true;
}

void world::run_until(instant end) {
  time_.at(end, [] {});
  while (time_.now() < end && step()) {
  }
}

}  // namespace troupe::simulation
