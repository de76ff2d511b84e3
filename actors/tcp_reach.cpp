// SPDX-License-Identifier: Apache-2.0
#include "actors/tcp_reach.hpp"

#include <cerrno>
#include <cstring>
#include <memory>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace troupe {
namespace {

std::string connect_problem(const addrinfo& address, std::chrono::milliseconds timeout) {
  const auto socket = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return std::strerror(errno);
  auto error = ::connect(socket, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd waited{socket, POLLOUT, 0};
    error = ETIMEDOUT;
    socklen_t size = sizeof error;
    if (::poll(&waited, 1, static_cast<int>(timeout.count())) > 0)
      ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  ::close(socket);
  return error == 0 ? std::string{} : std::strerror(error);
}

}  // namespace

std::string tcp_problem(const endpoint& door, std::chrono::milliseconds timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (auto error = ::getaddrinfo(door.host.c_str(), std::to_string(door.port).c_str(), &hints, &found); error != 0)
    return gai_strerror(error);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, ::freeaddrinfo);
  std::string problem = "no address";
  for (const auto* address = found; address; address = address->ai_next)
    if (problem = connect_problem(*address, timeout); problem.empty()) break;
  return problem;
}

}  // namespace troupe
