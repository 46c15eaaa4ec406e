using Microsoft.Win32.SafeHandles;

namespace Megaphone.Handover;

/// <summary>The files of a configuration as the rehearsal of a reload has read them. The next image starts with them, so that nothing that happens
/// to a file between the two can end a process that has clients.</summary>
/// <remarks>The rehearsal copies each file into memory before it reads it; so does the next image with what it is handed. Every other process, and
/// the next image once it has started, reads files where they are. Thread-safe.</remarks>
internal static class RehearsedFiles
{
    private const int MostBytes = 16 << 20, MostFiles = 4096;

    private static readonly Lock Gate = new();
    private static Dictionary<string, SafeFileHandle>? _copies;
    private static bool _isRehearsal;

    /// <summary>From now on each file is copied when it is read for the first time.</summary>
    public static void Rehearse()
    {
        lock (Gate) (_copies, _isRehearsal) = ([], true);
    }

    /// <summary>Where to read a file.</summary>
    public static string PathOf(string file)
    {
        lock (Gate)
        {
            if (_copies is null) return file;
            if (!_copies.ContainsKey(file) && _isRehearsal) TryCopy(file);
            return _copies.TryGetValue(file, out SafeFileHandle? copy) ? $"/proc/self/fd/{copy.DangerousGetHandle()}" : file;
        }
    }

    /// <summary>Whether a file is there to be read.</summary>
    public static bool Exists(string file)
    {
        lock (Gate) return _copies is null || _isRehearsal ? File.Exists(file) : _copies.ContainsKey(file);
    }

    /// <summary>Writes the copies.</summary>
    public static void Save(StateWriter writer)
    {
        lock (Gate)
        {
            writer.Write(_copies!.Count);
            foreach ((string file, SafeFileHandle copy) in _copies)
            {
                byte[] bytes = new byte[RandomAccess.GetLength(copy)];
                _ = RandomAccess.Read(copy, bytes, fileOffset: 0);
                writer.WriteText(file);
                writer.WriteBytes(bytes);
            }
        }
    }

    /// <summary>Reads what <see cref="Save"/> has written: it is read in the place of the files, until <see cref="Forget"/>.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    /// <exception cref="IOException">There is no memory for it.</exception>
    public static void Restore(StateReader reader)
    {
        lock (Gate)
        {
            _copies = [];
            for (int left = reader.ReadNumber(0, MostFiles, "the number of files"); left > 0; left--)
                _copies[reader.ReadName("a file's path")] = Copy(reader.ReadBytes(MostBytes, "a file"));
        }
    }

    /// <summary>From now on files are read where they are.</summary>
    public static void Forget()
    {
        lock (Gate)
        {
            if (_copies is null) return;
            foreach (SafeFileHandle copy in _copies.Values) copy.Dispose();
            _copies = null;
        }
    }

    /// <summary>A file that cannot be copied is read where it is: whoever reads it can say best what is wrong with it.</summary>
    private static void TryCopy(string file)
    {
        try
        {
            if (new FileInfo(file).Length <= MostBytes && _copies!.Count < MostFiles) _copies[file] = Copy(File.ReadAllBytes(file));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
        }
    }

    private static SafeFileHandle Copy(ReadOnlySpan<byte> bytes)
    {
        SafeFileHandle copy = new(StateFile.Create("megaphone-file"), ownsHandle: true);
        RandomAccess.Write(copy, bytes, fileOffset: 0);
        return copy;
    }
}
