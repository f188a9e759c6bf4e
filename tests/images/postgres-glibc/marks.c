/*
 * marks: WAL of a resource manager of its own, as extensions with tables of their own kind write it. For tests only.
 *
 * Preloaded, `mark(text)` writes a record that only a server which has preloaded this library, too, can replay.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xloginsert.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "varatt.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
PG_FUNCTION_INFO_V1(mark);

static void redo(XLogReaderState *record)
{
}

static void describe(StringInfo buffer, XLogReaderState *record)
{
}

static const char *identify(uint8 info)
{
	return "MARK";
}

static const RmgrData manager = {
	.rm_name = "marks", .rm_redo = redo, .rm_desc = describe, .rm_identify = identify};

void _PG_init(void)
{
	if (process_shared_preload_libraries_in_progress)
		RegisterCustomRmgr(RM_EXPERIMENTAL_ID, &manager);
}

Datum mark(PG_FUNCTION_ARGS)
{
	text *said = PG_GETARG_TEXT_PP(0);

	XLogBeginInsert();
	XLogRegisterData(VARDATA_ANY(said), VARSIZE_ANY_EXHDR(said));
	XLogSetRecordFlags(XLOG_MARK_UNIMPORTANT);
	PG_RETURN_INT64((int64) XLogInsert(RM_EXPERIMENTAL_ID, 0));
}
