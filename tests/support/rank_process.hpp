// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>
#include <functional>
#include <stdexcept>

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::test {

/// A child process that runs `body` and ends with status 0, or 1 when it throws. Killed and collected on destruction.
/// To be started while the test has one thread.
class rank_process {
 public:
  explicit rank_process(const std::function<void()>& body) : pid_(fork()) {
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) _exit(run(body));
  }
  ~rank_process() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  rank_process(const rank_process&) = delete;
  rank_process& operator=(const rank_process&) = delete;

  void signal(int number) const { kill(pid_, number); }

  /// Returns once the child has stopped itself.
  void wait_until_stopped() const {
    int status = 0;
    if (waitpid(pid_, &status, WUNTRACED) != pid_ || !WIFSTOPPED(status))
      throw std::runtime_error("the child ended where it should have stopped");
  }

  /// The exit status, or minus the signal that ended it.
  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  static int run(const std::function<void()>& body) {
    try {
      body();
      return 0;
    } catch (...) {
      return 1;
    }
  }

  pid_t pid_;
};

}  // namespace troupe::test
