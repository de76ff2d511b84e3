// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <variant>
#include <vector>

#include "apps/gateway/completion_service.hpp"

namespace troupe {

struct reply_accepted {};

struct reply_item {
  std::size_t choice = 0;
  std::variant<reply_accepted, completion_refusal, answer_event> what;
};

/// Where the service's threads leave what belongs to one HTTP request and the I/O thread fetches it.
/// Bounded by the credit that the request gave out. Once closed it swallows what still comes, so a service may call
/// back after the connection, or the whole gateway, is gone.
class reply_inbox : public std::enable_shared_from_this<reply_inbox> {
 public:
  /// `notify` is called on a service's thread when there is something to fetch; it must not block.
  explicit reply_inbox(std::function<void()> notify) : notify_(std::move(notify)) {}

  completion_callbacks callbacks_for(std::size_t choice) {
    auto self = shared_from_this();
    return {[self, choice] {
              self->push({choice, reply_accepted{}});
            },
            [self, choice](completion_refusal why) {
              self->push({choice, std::move(why)});
            },
            [self, choice](answer_event event) {
              self->push({choice, std::move(event)});
            }};
  }

  std::vector<reply_item> take() {
    const std::lock_guard guard(mutex_);
    return std::exchange(items_, {});
  }

  void close() {
    const std::lock_guard guard(mutex_);
    notify_ = nullptr;
    items_.clear();
  }

 private:
  void push(reply_item item) {
    const std::lock_guard guard(mutex_);
    if (!notify_) return;
    items_.push_back(std::move(item));
    // The reader takes all there is, so only the first of a batch has to wake it.
    if (items_.size() == 1) notify_();
  }

  std::mutex mutex_;
  std::function<void()> notify_;  ///< empty: closed
  std::vector<reply_item> items_;
};

}  // namespace troupe
