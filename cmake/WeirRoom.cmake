# A room is one folder under src/, one static library: weir_<room>. A room names the rooms it
# includes; scripts/check-includes fails on any arrow that does not point to a lower floor.
#
# No byte of a session passes through these: a sixth of their compile time is worth more than what -O2 adds.
set(WEIR_CALM_OPTIONS $<$<CONFIG:RelWithDebInfo>:-O1>)

# weir_bundles(<target> <files>): so many of its sources are compiled as one. Most of the time of a file that handles
# JSON, or of a test, goes into templates that its neighbours need too. The rooms of the data path stay apart: an edit
# there compiles one file. A source with the property WEIR_ALONE stays apart too. CMake's own UNITY_BUILD would do the
# same, but names the sources by absolute paths, so that ccache takes nothing from another clone.
function(weir_bundles target files)
  if(NOT WEIR_BUNDLES)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  set(kept "")
  set(text "")
  set(count 0)
  set(bundles 0)
  list(LENGTH sources left)
  foreach(source ${sources})
    math(EXPR left "${left} - 1")
    get_source_file_property(alone ${source} WEIR_ALONE)
    if(alone)
      list(APPEND kept ${source})
    else()
      cmake_path(ABSOLUTE_PATH source NORMALIZE OUTPUT_VARIABLE path)
      cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
      string(REGEX REPLACE "^(src|tests/unit)/" "" path ${path}) # what every target includes from
      string(APPEND text "#include \"${path}\"\n")
      math(EXPR count "${count} + 1")
    endif()
    if(count EQUAL files OR (left EQUAL 0 AND count GREATER 0))
      set(bundle ${CMAKE_CURRENT_BINARY_DIR}/${target}.bundles/bundle_${bundles}.cpp)
      file(CONFIGURE OUTPUT ${bundle} CONTENT "${text}" @ONLY)
      list(APPEND kept ${bundle})
      set(text "")
      set(count 0)
      math(EXPR bundles "${bundles} + 1")
    endif()
  endforeach()
  set_target_properties(${target} PROPERTIES SOURCES "${kept}")
endfunction()

function(weir_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;ROOMS;LIBRARIES" ${ARGN})
  add_library(weir_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(weir_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM ROOM_ROOMS PREPEND weir_)
  target_link_libraries(weir_${name} PUBLIC ${ROOM_ROOMS} ${ROOM_LIBRARIES})
  if(name STREQUAL base)
    weir_precompile(weir_base ${WEIR_STD_HEADERS} <fmt/format.h>)
  elseif(name STREQUAL control)
    weir_precompile(weir_control ${WEIR_JSON_HEADERS} <fmt/format.h>)
  elseif(name STREQUAL cni) # not linked with fmt
    weir_precompile(weir_cni ${WEIR_JSON_HEADERS})
  elseif(name STREQUAL api)
    weir_precompiled(weir_api weir_control)
  else()
    weir_precompiled(weir_${name} weir_base)
  endif()
  if(name MATCHES "^(api|cni|control)$")
    weir_bundles(weir_${name} 5)
  endif()
  if(name MATCHES "^(api|cni)$")
    target_compile_options(weir_${name} PRIVATE ${WEIR_CALM_OPTIONS})
  endif()
endfunction()

# weir_unit_test(<room> <source>...): one GoogleTest executable per room, tests found by ctest.
# Rooms named in WEIR_TEST_PER_FILE get one per *_test.cpp instead, test_<room>_<file>, each with the
# other sources, which are helpers: scripts/mutants then builds only the tests that should notice.
# WEIR_TESTS_OF_ROOM holds the names of the executables that it made.
set(WEIR_TEST_PER_FILE "" CACHE STRING "Rooms with a test executable per test file, such as proxy;net")
function(weir_unit_test room)
  if(NOT room IN_LIST WEIR_TEST_PER_FILE)
    weir_test_executable(${room} test_${room} ${ARGN})
    set(profile "")
    if(WEIR_COVERAGE) # %m: all processes of an executable add to one file
      set(profile ENVIRONMENT "LLVM_PROFILE_FILE=${PROJECT_BINARY_DIR}/profiles/test_${room}-%m.profraw")
    endif()
    gtest_discover_tests(test_${room} TEST_PREFIX "${room}: " DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 120 LABELS unit ${profile})
    set(WEIR_TESTS_OF_ROOM test_${room} PARENT_SCOPE)
    return()
  endif()
  set(made "")
  set(helpers ${ARGN})
  list(FILTER helpers EXCLUDE REGEX "_test\\.cpp$")
  foreach(source ${ARGN})
    if(source MATCHES "(.*)_test\\.cpp$")
      set(name test_${room}_${CMAKE_MATCH_1})
      weir_test_executable(${room} ${name} ${source} ${helpers})
      list(APPEND made ${name})
    endif()
  endforeach()
  set(WEIR_TESTS_OF_ROOM ${made} PARENT_SCOPE)
endfunction()

set(WEIR_TEST_OPTIONS $<$<CONFIG:RelWithDebInfo>:-O1$<SEMICOLON>-g1>)
function(weir_test_executable room name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
  target_link_libraries(${name} PRIVATE weir_${room} GTest::gtest GTest::gmock GTest::gtest_main)
  # The rooms are tested as users get them; the tests themselves compile in 0.6 of the time with less.
  target_compile_options(${name} PRIVATE ${WEIR_TEST_OPTIONS})
  weir_precompiled(${name} weir_test_headers)
  weir_bundles(${name} 6)
endfunction()
