using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary>struct statx of statx(2), as far as it tells one file, and one content of it, from another.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct FileStatus
{
    /// <summary>What kind of file it is, and who may do what with it.</summary>
    [FieldOffset(28)]
    public ushort Mode;

    /// <summary>The number of the file on its device.</summary>
    [FieldOffset(32)]
    public ulong Number;

    /// <summary>When it was changed last: whole seconds.</summary>
    [FieldOffset(96)]
    public long ChangedSeconds;

    /// <summary>And nanoseconds.</summary>
    [FieldOffset(104)]
    public uint ChangedNanoseconds;

    /// <summary>The device, major and minor number.</summary>
    [FieldOffset(136)]
    public ulong Device;
}
