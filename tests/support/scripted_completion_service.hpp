// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "apps/gateway/completion_service.hpp"

namespace troupe {

/// What the scripted service does with one request.
struct scripted_answer {
  std::optional<completion_refusal> refusal{};
  bool decides = true;   ///< false: neither accepts nor refuses
  bool endless = false;  ///< after the last event comes the first one again
  std::vector<answer_event> events{};
};

/// Answers from a script, on a thread of its own, within the credit it is given; and keeps what happened.
class scripted_completion_service : public completion_service {
 public:
  using script = std::function<scripted_answer(const generation&)>;

  explicit scripted_completion_service(script answers);
  ~scripted_completion_service() override;

  completion_ticket submit(generation what, const request_key& key, std::uint32_t credit,
                           completion_callbacks callbacks) override;
  void credit(completion_ticket ticket, std::uint32_t events) override;
  void cancel(completion_ticket ticket) override;
  void leave(completion_ticket ticket) override;
  served_model model() const override;
  service_health health() const override;
  std::string metrics() const override { return "# TYPE scripted gauge\nscripted 1\n"; }
  std::string token_bytes(token_id token) const override;

  void set_health(service_health health);
  std::vector<generation> submitted() const;
  std::vector<request_key> keys() const;
  std::size_t cancelled() const;
  std::size_t left() const;
  std::size_t events_sent() const;
  /// False when it did not happen within 20 s.
  bool wait_submitted(std::size_t count);
  bool wait_cancelled(std::size_t count);
  bool wait_left(std::size_t count);
  bool wait_events_sent(std::size_t count);
  /// Calls the callbacks of every cancelled request once more, as a service may that hears of it late.
  void call_back_late();

 private:
  struct job {
    completion_callbacks callbacks;
    scripted_answer answer;
    std::uint32_t credit = 0;
    std::size_t next = 0;
    bool decided = false;
  };

  void run();
  /// One callback for one job, made with the lock released. False: nothing to do now.
  bool step(std::unique_lock<std::mutex>& lock);

  const script answers_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<completion_ticket, job> jobs_;
  std::vector<completion_callbacks> cancelled_callbacks_;
  std::vector<generation> submitted_;
  service_health health_{true, "ready", ""};
  std::uint64_t last_ticket_ = 0;
  std::vector<request_key> keys_;
  std::size_t left_ = 0;
  std::size_t cancelled_ = 0;
  std::size_t events_sent_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

/// Events that say `words` one by one, each a token, and then finish.
std::vector<answer_event> events_of(const std::vector<std::string>& words, finish_reason finish = finish_reason::stop);

}  // namespace troupe
