namespace Megaphone.Tls;

/// <summary>A record that has been opened, or why none was.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Length">Bytes that were taken from the front of what was received; with <see cref="OpenedRecordKind.Incomplete"/> bytes
/// that have to be there, counted from the same place, before another call finds more.</param>
/// <param name="DataStart">With data: where it begins, counted from the same place.</param>
/// <param name="DataLength">With data: its bytes.</param>
/// <param name="Alert">With a fault: the alert to be sent. With a fatal alert: the one that came.</param>
internal readonly record struct OpenedRecord(OpenedRecordKind Kind, int Length, int DataStart = 0, int DataLength = 0, TlsAlert Alert = default);
