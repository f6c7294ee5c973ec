// ctr-init: pid 1 of a container that was started with --init. It starts the one real program, passes every signal on
// to it, reaps whatever becomes its child, and ends as that program ended. Same flags and exit codes as tini, but it
// sleeps in sigwaitinfo without waking up every second. Static, without exceptions and without stdio.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ctr {
namespace {

constexpr int kOwnFailure = 1;
constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;

/// Signals whose default action must hit ctr-init itself: faults, and the terminal's stop signals, which it ignores.
constexpr int kNotForwarded[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};

struct Options {
  bool whole_group = false;        // -g: signals go to the program's process group
  bool subreaper = false;          // -s
  bool warn = false;               // -w: tell about reaped orphans
  int parent_death_signal = 0;     // -p
  bool treated_as_zero[256] = {};  // -e
  char** command = nullptr;
};

void say(const char* text) {
  // A closed stderr is no reason to fail.
  if (::write(STDERR_FILENO, text, ::strlen(text)) < 0) return;
}

[[noreturn]] void fail(const char* what, const char* subject) {
  const int error = errno;
  say("ctr-init: ");
  say(what);
  say(" ");
  say(subject);
  if (error != 0) {
    say(": ");
    say(::strerror(error));
  }
  say("\n");
  ::_exit(kOwnFailure);
}

int parse_number(const char* text, int limit) {
  char* end = nullptr;
  const long number = ::strtol(text, &end, 10);
  if (end == text || *end != '\0' || number < 0 || number > limit) return -1;
  return static_cast<int>(number);
}

int parse_signal(const char* text) {
  const int number = parse_number(text, SIGRTMAX);
  if (number > 0) return number;
  if (::strncmp(text, "SIG", 3) == 0) text += 3;
  for (int candidate = 1; candidate < NSIG; ++candidate) {
    const char* name = ::sigabbrev_np(candidate);
    if (name != nullptr && ::strcmp(name, text) == 0) return candidate;
  }
  errno = 0;
  fail("no such signal:", text);
}

bool is_set(const char* variable) {
  return ::getenv(variable) != nullptr;
}

void parse_exit_code(Options& options, const char* text) {
  const int code = parse_number(text, 255);
  errno = 0;
  if (code < 0) fail("not an exit code:", text);
  options.treated_as_zero[code] = true;
}

Options parse_options(int argc, char** argv) {
  Options options;
  options.whole_group = is_set("TINI_KILL_PROCESS_GROUP");
  options.subreaper = is_set("TINI_SUBREAPER");
  if (argc == 2 && ::strcmp(argv[1], "--version") == 0) {
    say("ctr-init " CTR_VERSION "\n");
    ::_exit(0);
  }
  int option = 0;
  while ((option = ::getopt(argc, argv, "+hsgwvle:p:")) != -1) {
    switch (option) {
      case 's':
        options.subreaper = true;
        break;
      case 'g':
        options.whole_group = true;
        break;
      case 'w':
        options.warn = true;
        break;
      case 'p':
        options.parent_death_signal = parse_signal(optarg);
        break;
      case 'e':
        parse_exit_code(options, optarg);
        break;
      case 'v':
      case 'l':
        break;  // tini's verbosity and licence: there is nothing more to tell
      default:
        say("usage: ctr-init [-s] [-g] [-w] [-p SIGNAL] [-e CODE]... [--] PROGRAM [ARGUMENT]...\n");
        ::_exit(kOwnFailure);
    }
  }
  if (optind >= argc) {
    errno = 0;
    fail("no program", "given");
  }
  options.command = argv + optind;
  return options;
}

/// Makes the program the foreground process group of its terminal, if it has one.
void take_terminal() {
  if (::setpgid(0, 0) < 0) return;
  // ENOTTY and ENXIO: there is none. Anything else would surprise, but the program can run without.
  if (::tcsetpgrp(STDIN_FILENO, ::getpgrp()) < 0) return;
}

[[noreturn]] void become_program(char** command, const sigset_t& original_mask) {
  take_terminal();
  ::signal(SIGTTIN, SIG_DFL);
  ::signal(SIGTTOU, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &original_mask, nullptr);
  ::execvp(command[0], command);
  const int error = errno;
  say("ctr-init: exec ");
  say(command[0]);
  say(": ");
  say(::strerror(error));
  say("\n");
  ::_exit(error == ENOENT || error == ENOTDIR ? kNotFound : kCannotExecute);
}

int exit_status_of(const Options& options, int status) {
  const int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return options.treated_as_zero[code & 255] ? 0 : code;
}

/// Reaps all that has ended; returns when the program itself still lives.
void reap(const Options& options, pid_t program) {
  int status = 0;
  pid_t ended = 0;
  int end_of_program = -1;
  while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0) {
    if (ended == program) {
      end_of_program = exit_status_of(options, status);
    } else if (options.warn) {
      say("ctr-init: reaped an orphan\n");
    }
  }
  if (end_of_program >= 0) ::_exit(end_of_program);
}

[[noreturn]] void pass_signals_on(const Options& options, pid_t program, const sigset_t& awaited) {
  for (;;) {
    siginfo_t info;
    const int number = ::sigwaitinfo(&awaited, &info);
    if (number < 0) continue;  // EINTR: a stop and continue
    if (number == SIGCHLD) {
      reap(options, program);
    } else {
      // ESRCH: it is a zombie that the next SIGCHLD reaps.
      ::kill(options.whole_group ? -program : program, number);
    }
  }
}

int run(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  sigset_t awaited;
  sigset_t original_mask;
  ::sigfillset(&awaited);
  for (const int number : kNotForwarded) ::sigdelset(&awaited, number);
  if (::sigprocmask(SIG_SETMASK, &awaited, &original_mask) < 0) fail("set", "the signal mask");
  // Otherwise the hand-over of the terminal to the program's process group would stop us.
  ::signal(SIGTTIN, SIG_IGN);
  ::signal(SIGTTOU, SIG_IGN);
  if (options.parent_death_signal != 0 && ::prctl(PR_SET_PDEATHSIG, options.parent_death_signal) < 0)
    fail("set", "the parent death signal");
  if (options.subreaper && ::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) fail("become", "a subreaper");

  const pid_t program = ::fork();
  if (program < 0) fail("fork for", options.command[0]);
  if (program == 0) become_program(options.command, original_mask);
  pass_signals_on(options, program, awaited);
}

}  // namespace
}  // namespace ctr

int main(int argc, char** argv) {
  return ctr::run(argc, argv);
}
