// SPDX-License-Identifier: Apache-2.0
#include "tests/support/scripted_completion_service.hpp"

#include <chrono>
#include <utility>

namespace troupe {

namespace {

constexpr std::chrono::seconds patience{20};

}  // namespace

scripted_completion_service::scripted_completion_service(script answers)
    : answers_(std::move(answers)), thread_([this] { run(); }) {}

scripted_completion_service::~scripted_completion_service() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

completion_ticket scripted_completion_service::submit(generation what, const request_key& key, std::uint32_t credit,
                                                      completion_callbacks callbacks) {
  auto answer = answers_(what);
  const std::lock_guard guard(mutex_);
  const completion_ticket ticket{++last_ticket_};
  job one;
  one.callbacks = std::move(callbacks);
  one.answer = std::move(answer);
  one.credit = credit;
  jobs_.emplace(ticket, std::move(one));
  submitted_.push_back(std::move(what));
  keys_.push_back(key);
  changed_.notify_all();
  return ticket;
}

void scripted_completion_service::credit(completion_ticket ticket, std::uint32_t events) {
  const std::lock_guard guard(mutex_);
  if (auto at = jobs_.find(ticket); at != jobs_.end()) at->second.credit += events;
  changed_.notify_all();
}

void scripted_completion_service::cancel(completion_ticket ticket) {
  const std::lock_guard guard(mutex_);
  auto at = jobs_.find(ticket);
  if (at == jobs_.end()) return;
  cancelled_callbacks_.push_back(std::move(at->second.callbacks));
  jobs_.erase(at);
  ++cancelled_;
  changed_.notify_all();
}

void scripted_completion_service::leave(completion_ticket ticket) {
  const std::lock_guard guard(mutex_);
  if (jobs_.erase(ticket) > 0) ++left_;
  changed_.notify_all();
}

std::vector<request_key> scripted_completion_service::keys() const {
  const std::lock_guard guard(mutex_);
  return keys_;
}

std::size_t scripted_completion_service::left() const {
  const std::lock_guard guard(mutex_);
  return left_;
}

served_model scripted_completion_service::model() const { return {"scripted", 1700000000, 4096, 1000, "bit-exact"}; }

service_health scripted_completion_service::health() const {
  const std::lock_guard guard(mutex_);
  return health_;
}

std::string scripted_completion_service::token_bytes(token_id token) const {
  return token == 999 ? std::string("\xe2\x82") : std::string("t").append(std::to_string(token));
}

void scripted_completion_service::set_health(service_health health) {
  const std::lock_guard guard(mutex_);
  health_ = std::move(health);
}

std::vector<generation> scripted_completion_service::submitted() const {
  const std::lock_guard guard(mutex_);
  return submitted_;
}

std::size_t scripted_completion_service::cancelled() const {
  const std::lock_guard guard(mutex_);
  return cancelled_;
}

std::size_t scripted_completion_service::events_sent() const {
  const std::lock_guard guard(mutex_);
  return events_sent_;
}

bool scripted_completion_service::wait_submitted(std::size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return submitted_.size() >= count; });
}

bool scripted_completion_service::wait_cancelled(std::size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return cancelled_ >= count; });
}

bool scripted_completion_service::wait_left(std::size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return left_ >= count; });
}

bool scripted_completion_service::wait_events_sent(std::size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return events_sent_ >= count; });
}

void scripted_completion_service::call_back_late() {
  std::unique_lock lock(mutex_);
  auto callbacks = std::exchange(cancelled_callbacks_, {});
  lock.unlock();
  for (const auto& one : callbacks) {
    one.accepted();
    one.event(events_of({"late"}).front());
    one.refused({"internal", "late"});
  }
}

void scripted_completion_service::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_)
    if (!step(lock)) changed_.wait(lock);
}

bool scripted_completion_service::step(std::unique_lock<std::mutex>& lock) {
  for (auto& [ticket, one] : jobs_) {
    if (!one.answer.decides) continue;
    const auto callbacks = one.callbacks;
    if (!one.decided) {
      one.decided = true;
      auto refusal = one.answer.refusal;
      if (refusal) jobs_.erase(ticket);
      lock.unlock();
      refusal ? callbacks.refused(std::move(*refusal)) : callbacks.accepted();
      lock.lock();
      return true;
    }
    if (one.answer.endless && one.next == one.answer.events.size()) one.next = 0;
    if (one.credit == 0 || one.next == one.answer.events.size()) continue;
    --one.credit;
    auto event = one.answer.events[one.next++];
    if (event.finish != finish_reason::none) jobs_.erase(ticket);
    ++events_sent_;
    lock.unlock();
    callbacks.event(std::move(event));
    lock.lock();
    changed_.notify_all();
    return true;
  }
  return false;
}

std::vector<answer_event> events_of(const std::vector<std::string>& words, finish_reason finish) {
  std::vector<answer_event> out;
  std::uint64_t offset = 0;
  for (const auto& word : words) {
    answer_event event;
    event.text = word;
    event.text_offset = offset;
    offset += word.size();
    answer_token token;
    token.position = static_cast<std::uint32_t>(out.size());
    token.token = static_cast<token_id>(out.size());
    token.logprob = -0.5F;
    token.top = {{token.token, -0.5F}, {999, -1.5F}};
    event.tokens.push_back(token);
    out.push_back(std::move(event));
  }
  answer_event last;
  last.finish = finish;
  last.usage = {7, static_cast<std::uint32_t>(words.size()), 4};
  out.push_back(std::move(last));
  return out;
}

}  // namespace troupe
