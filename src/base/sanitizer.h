/* sanitizer.h: SANITIZED is 1 in a build whose every access a sanitizer watches (address or
 * thread), else 0. Such a build takes several times as long and keeps memory that was freed: what
 * bounds processor time or memory asks. */
#ifndef BASE_SANITIZER_H
#define BASE_SANITIZER_H

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
