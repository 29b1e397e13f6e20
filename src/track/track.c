/* track.c: the logs of a run folder; see track.h.
 *
 * Crash safety comes from the checkpoint, not from here: lines are appended as they come, a
 * checkpoint records the offsets after a sync, and what was written later is cut off on resume and
 * written again, the same bytes, because the step is the same. */
#include "track/track.h"
#include <string.h>
#include <sys/stat.h>
#include "base/check.h"
#include "base/json.h"

static const char *const names[3] = {"metrics.jsonl", "timing.jsonl", "samples.jsonl"};

/* Before any log is cut: is each as long as the checkpoint says? */
static int check_length(const char *path, uint64_t offset, struct err *err)
{
    struct stat st;
    if (!offset || (stat(path, &st) == 0 && (uint64_t)st.st_size >= offset))
        return ERR_NONE;
    return err_set(err, ERR_INPUT, path,
                   "is missing or shorter than the %llu bytes the checkpoint was made with: it was "
                   "cut or replaced since; start anew in another folder",
                   (unsigned long long)offset);
}

int track_open(struct track *t, const char *folder, const struct track_offsets *resume,
               struct err *err)
{
    *t = (struct track){.metrics = {.fd = -1}, .timing = {.fd = -1}, .samples = {.fd = -1}};
    struct track_offsets zero = {0};
    const struct track_offsets *to = resume ? resume : &zero;
    struct file_log *logs[3] = {&t->metrics, &t->timing, &t->samples};
    uint64_t offsets[3] = {to->metrics, to->timing, to->samples};
    struct str path = {0};
    int status = ERR_NONE;
    for (int i = 0; i < 3 && !status; i++) {
        path_join(&path, folder, names[i]);
        status = path.failed ? err_no_memory(err, folder, path.length)
                             : check_length(str_text(&path), offsets[i], err);
    }
    for (int i = 0; i < 3 && !status; i++) {
        path_join(&path, folder, names[i]);
        status = path.failed ? err_no_memory(err, folder, path.length)
                             : file_log_open(logs[i], str_text(&path), offsets[i], err);
    }
    str_free(&path);
    if (status)
        track_close(t);
    return status;
}

static int write_metrics(struct track *t, struct file_log *log, long step,
                         const struct metric *metrics, size_t n, struct err *err)
{
    struct json_writer w;
    str_clear(&t->line);
    jw_begin(&w, &t->line);
    jw_object_begin(&w);
    jw_key(&w, "step");
    jw_int(&w, step);
    for (size_t i = 0; i < n; i++) {
        jw_key(&w, metrics[i].name);
        jw_double(&w, metrics[i].value);
    }
    jw_object_end(&w);
    str_putc(&t->line, '\n');
    if (t->line.failed)
        return err_no_memory(err, log->path, t->line.length);
    return file_log_write(log, str_text(&t->line), t->line.length, err);
}

int track_metrics(struct track *t, long step, const struct metric *metrics, size_t n,
                  struct err *err)
{
    return write_metrics(t, &t->metrics, step, metrics, n, err);
}

int track_timing(struct track *t, long step, const struct metric *metrics, size_t n,
                 struct err *err)
{
    return write_metrics(t, &t->timing, step, metrics, n, err);
}

int track_sample(struct track *t, const struct str *line, struct err *err)
{
    /* One write, so that a failure cannot leave a line without its end. */
    str_clear(&t->line);
    str_append(&t->line, str_text(line), line->length);
    str_putc(&t->line, '\n');
    if (line->failed || t->line.failed)
        return err_no_memory(err, t->samples.path, line->length);
    CHECK(line->length && !memchr(line->data, '\n', line->length));
    return file_log_write(&t->samples, str_text(&t->line), t->line.length, err);
}

struct track_offsets track_offsets(const struct track *t)
{
    return (struct track_offsets){t->metrics.offset, t->timing.offset, t->samples.offset};
}

int track_sync(struct track *t, struct err *err)
{
    int status = file_log_sync(&t->metrics, err);
    if (!status)
        status = file_log_sync(&t->timing, err);
    return status ? status : file_log_sync(&t->samples, err);
}

void track_close(struct track *t)
{
    file_log_close(&t->metrics);
    file_log_close(&t->timing);
    file_log_close(&t->samples);
    str_free(&t->line);
}
