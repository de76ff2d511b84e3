// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include <sys/types.h>

namespace troupe::simulation {

/// A forked process that writes lines for its parent. A run that crashes or hangs takes only its worker along.
class worker {
 public:
  /// `work` runs in the new process; what it gives to its argument arrives at the parent line by line.
  explicit worker(const std::function<void(const std::function<void(const std::string&)>&)>& work);
  ~worker();
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  int descriptor() const { return pipe_; }

  /// Reads what has come; waits for the first bytes. `line` is called for every complete line. False at the end.
  bool read(const std::function<void(const std::string&)>& line);

  /// How it ended, in words; empty when it ended well. Waits for the end.
  std::string end();

  /// Ends it now.
  void stop();

 private:
  pid_t process_ = -1;
  int pipe_ = -1;
  std::string rest_;
};

}  // namespace troupe::simulation
