# Precompiled headers. They hold only what libraries give: a header of ours in one would make every file of its rooms
# compile again when it changes. One is made per set of compiler flags, by the target that is named second here:
#
#   std    the standard library, fmt and expected      weir_base, for most rooms
#   json   std and nlohmann's JSON                     weir_control, for api/ too; weir_cni and weir have their own flags
#   test   GoogleTest, GoogleMock and what they include   weir_test_headers
set(WEIR_STD_HEADERS
  <algorithm> <array> <atomic> <cerrno> <charconv> <chrono> <cmath> <cstdint> <cstring> <deque> <functional> <limits>
  <map> <memory> <mutex> <optional> <set> <span> <string> <string_view> <thread> <unordered_map> <utility> <variant>
  <vector> <tl/expected.hpp>)
set(WEIR_JSON_HEADERS ${WEIR_STD_HEADERS} <nlohmann/json.hpp>)
set(WEIR_TEST_HEADERS <gtest/gtest.h> <gmock/gmock.h>)

# weir_precompile(<target> <header>...): makes one.  weir_precompiled(<target> <maker>): uses the one of another target.
function(weir_precompile target)
  if(NOT WEIR_PCH)
    return()
  endif()
  target_precompile_headers(${target} PRIVATE ${ARGN})
  target_compile_options(${target} PRIVATE ${WEIR_PCH_OPTIONS})
endfunction()
function(weir_precompiled target maker)
  if(NOT WEIR_PCH)
    return()
  endif()
  target_precompile_headers(${target} REUSE_FROM ${maker})
  target_compile_options(${target} PRIVATE ${WEIR_PCH_OPTIONS})
endfunction()

if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # As CMake does it for g++. Its own words for clang keep the name of the clone's folder from ccache, which then
  # takes nothing that another clone compiled.
  set(CMAKE_CXX_COMPILE_OPTIONS_USE_PCH -include <PCH_HEADER>)
  set(CMAKE_CXX_COMPILE_OPTIONS_CREATE_PCH -x c++-header -include <PCH_HEADER>)
  # A header that ccache took from a clone names the files of that clone, with their times. What it is made of
  # are files of the system, and ninja makes it anew when one of them changes.
  set(WEIR_PCH_OPTIONS "SHELL:-Xclang -fno-pch-timestamp" "SHELL:-Xclang -fno-validate-pch")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 forgets of a precompiled header that it is the system's, and then tells what it believes of the inside of
  # std::string (GCC bug 105329 and its kin). Without precompiled headers, WEIR_PCH=OFF, these warnings are on.
  set(WEIR_PCH_OPTIONS -Wno-array-bounds -Wno-stringop-overread -Wno-stringop-overflow -Wno-restrict)
endif()
