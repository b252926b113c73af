# One place for the language level, the warnings and the hardening that every room shares.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# The headers of libraries are compiled once for many files (WeirPrecompiled.cmake). Off, each file is compiled as it
# stands; scripts/tidy does so, and finds the #include that a file lacks.
option(WEIR_PCH "Precompile the headers of libraries" ON)

# Files of the tests and of the rooms that handle JSON are compiled several at once (WeirRoom.cmake). Off, each file
# stands alone, as scripts/tidy wants it.
option(WEIR_BUNDLES "Compile tests and JSON's rooms in bundles of files" ON)

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER sh ${PROJECT_SOURCE_DIR}/cmake/compile-cached)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Its garbage collector begins at 128 MB, and a file that includes nlohmann's JSON needs twice as much: a tenth of
  # the time went into collections that freed little.
  add_compile_options("SHELL:--param ggc-min-heapsize=500000")
endif()
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
# GLIBCXX assertions cost nothing measurable on the data path and turn an out-of-range index into
# an abort instead of a leak of another session's bytes.
add_compile_definitions(_GLIBCXX_ASSERTIONS)
add_compile_options(-fstack-protector-strong)
if(CMAKE_BUILD_TYPE MATCHES "Release|RelWithDebInfo" AND NOT WEIR_SANITIZE)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
add_link_options(-Wl,-z,relro,-z,now)

set(WEIR_SANITIZE "" CACHE STRING "Comma list for -fsanitize, for example address,undefined")
if(WEIR_SANITIZE)
  add_compile_options(-fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WEIR_SANITIZE})
  if(WEIR_SANITIZE MATCHES "undefined")
    # The vptr check opens a pipe to look at memory: it reports healthy objects when a test has taken
    # all descriptors away, which several do on purpose.
    add_compile_options(-fno-sanitize=vptr)
  endif()
endif()

option(WEIR_COVERAGE "Measure line coverage (clang source-based)" OFF)
if(WEIR_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()
