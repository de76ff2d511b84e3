// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/worker.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::simulation {
namespace {

void write_all(int descriptor, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    auto count = ::write(descriptor, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) _exit(3);  // the parent is gone
    done += static_cast<std::size_t>(count);
  }
}

/// A run makes and ends dozens of actor systems with a thread each; without this each would get an arena of its own,
/// and the kernel would be given back what the next run needs again.
void keep_memory() {
  constexpr int most = 256 << 20;
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, most);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
}

}  // namespace

worker::worker(const std::function<void(const std::function<void(const std::string&)>&)>& work) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) throw std::runtime_error(fmt::format("no pipe: {}", strerror(errno)));
  std::fflush(nullptr);
  process_ = fork();
  if (process_ < 0) throw std::runtime_error(fmt::format("no worker process: {}", strerror(errno)));
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    keep_memory();
    work([descriptor = ends[1]](const std::string& line) { write_all(descriptor, line + "\n"); });
    _exit(0);
  }
  close(ends[1]);
  pipe_ = ends[0];
}

worker::~worker() {
  stop();
  end();
  close(pipe_);
}

bool worker::read(const std::function<void(const std::string&)>& line) {
  std::array<char, 65536> buffer{};
  auto count = ::read(pipe_, buffer.data(), buffer.size());
  if (count < 0 && errno == EINTR) return true;
  if (count <= 0) return false;
  rest_.append(buffer.data(), static_cast<std::size_t>(count));
  for (auto end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
    auto text = rest_.substr(0, end);
    rest_.erase(0, end + 1);
    line(text);
  }
  return true;
}

std::string worker::end() {
  if (process_ < 0) return {};
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  if (WIFSIGNALED(status))
    return WTERMSIG(status) == SIGALRM ? std::string{"the run did not come to an end in time"}
                                       : fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return WEXITSTATUS(status) == 0 ? std::string{} : fmt::format("exit code {}", WEXITSTATUS(status));
}

void worker::stop() {
  if (process_ > 0) ::kill(process_, SIGKILL);
}

}  // namespace troupe::simulation
