#include "builder/emulators.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "base/error.h"

namespace ctr {
namespace {

TEST(Emulators, WhatHoldsTheirNamespaceKeepsNobodysPipeOpen) {
  Pipe other = make_pipe();  // as a step of another thread has one for its output
  std::unique_ptr<EmulatorNamespace> held;
  try {
    held = std::make_unique<EmulatorNamespace>();
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  other.write.reset();
  struct pollfd end = {other.read.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&end, 1, 60'000), 1) << "the pipe is open in another process";
  char byte = 0;
  EXPECT_EQ(::read(other.read.get(), &byte, 1), 0);
}

}  // namespace
}  // namespace ctr
