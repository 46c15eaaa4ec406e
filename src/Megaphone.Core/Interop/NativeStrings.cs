using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary>Strings as execve(2) wants its arguments and environment: pointers to UTF-8, the last of them null.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private readonly List<nint> _owned = [];

    /// <summary>Copies the strings.</summary>
    public NativeStrings(IReadOnlyList<string> strings)
    {
        Pointers = (byte**)NativeMemory.Alloc((nuint)(strings.Count + 1), (nuint)sizeof(byte*));
        for (int i = 0; i < strings.Count; i++)
        {
            _owned.Add(Marshal.StringToCoTaskMemUTF8(strings[i]));
            Pointers[i] = (byte*)_owned[i];
        }

        Pointers[strings.Count] = null;
    }

    /// <summary>The pointers.</summary>
    public byte** Pointers { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _owned.ForEach(Marshal.FreeCoTaskMem);
        NativeMemory.Free(Pointers);
    }
}
