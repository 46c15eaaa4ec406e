using System.Collections;
using System.Runtime.InteropServices;
using System.Text;
using Megaphone.Handover;
using Megaphone.Interop;

namespace Megaphone.Hosting;

/// <summary>How this process was started, and so how its next image is: the same path, which may be another binary by then, with the same
/// arguments and environment.</summary>
internal sealed unsafe class ProcessImage
{
    /// <summary>Names the descriptors of the state and of the rehearsed files for the next image.</summary>
    private const string StateVariable = "_MEGAPHONE_STATE";

    private const string ProgramName = "megaphone: ";
    private const int FirstFree = 3;

    /// <summary>Of what a rehearsal says; the rest is nobody's words.</summary>
    private const int MostSaid = 16 << 10;

    private readonly string _path;
    private readonly string[] _arguments;
    private FileStatus _rehearsed;

    private ProcessImage(string path, string[] arguments, int state, int files) =>
        (_path, _arguments, State, Files) = (path, arguments, state, files);

    /// <summary>The memory file in which the process's last image has left its state; below 0: there was none.</summary>
    public int State { get; }

    /// <summary>The memory file with <see cref="RehearsedFiles"/>; below 0: there was no last image.</summary>
    public int Files { get; }

    /// <summary>Records it, before anything else changes it.</summary>
    public static ProcessImage Record()
    {
        string[] arguments = Environment.GetCommandLineArgs();
        string[] handed = (Environment.GetEnvironmentVariable(StateVariable) ?? "").Split(',');
        Environment.SetEnvironmentVariable(StateVariable, null);
        return handed.Length == 2 && int.TryParse(handed[0], out int state) && int.TryParse(handed[1], out int files)
            ? new ProcessImage(Locate(arguments[0]), arguments, state, files)
            : new ProcessImage(Locate(arguments[0]), arguments, state: -1, files: -1);
    }

    /// <summary>Has the installed binary check whether it could take this process's place.</summary>
    /// <param name="head">The memory file that it is to read, and in which it leaves <see cref="RehearsedFiles"/>.</param>
    /// <param name="most">How long it may take.</param>
    /// <returns>What is in the way; null: nothing.</returns>
    public string? Rehearse(int head, TimeSpan most)
    {
        int* ends = stackalloc int[2];
        if (Libc.Pipe(ends, Libc.SockCloseOnExec) != 0) return $"pipe2: {Libc.Describe(Marshal.GetLastPInvokeError())}";
        try
        {
            _rehearsed = StatusOfBinary();
            using NativeStrings arguments = new([_arguments[0], "rehearse", .. _arguments.Skip(1).SkipWhile((word, i) => i == 0 && word == "run")]);
            using NativeStrings environment = new(Variables());
            int error = Spawn(arguments, environment, head, ends[1], out int process);
            _ = Libc.Close(ends[1]);
            ends[1] = -1;
            return error != 0 ? $"{_path} cannot be started: {Libc.Describe(error)}" : Await(process, ends[0], most);
        }
        finally
        {
            _ = Libc.Close(ends[0]);
            if (ends[1] >= 0) _ = Libc.Close(ends[1]);
        }
    }

    /// <summary>Executes the binary that was rehearsed in the place of this one.</summary>
    /// <param name="state">The memory file with the state.</param>
    /// <param name="files">The memory file with the rehearsed files.</param>
    /// <param name="descriptors">The descriptors that go with them; all others are closed.</param>
    /// <returns>Why it could not be, when it returns.</returns>
    public string Execute(int state, int files, DescriptorSet descriptors)
    {
        foreach (int file in (ReadOnlySpan<int>)[state, files])
        {
            descriptors.TryAdd(file);
            descriptors.ClosedOnExec.Add(file);
        }

        using NativeStrings path = new([_path]), arguments = new(_arguments), environment = new([.. Variables(), $"{StateVariable}={state},{files}"]);
        foreach ((uint first, uint last) in descriptors.Gaps(FirstFree)) _ = Libc.CloseRange(first, last, Libc.CloseRangeCloseOnExec);
        foreach (int descriptor in descriptors.ClosedOnExec) _ = Libc.ControlDescriptor(descriptor, Libc.SetDescriptorFlags, 0);

        // What was rehearsed is what takes over.
        FileStatus now = StatusOfBinary();
        if (!MemoryMarshal.AsBytes(new Span<FileStatus>(ref now)).SequenceEqual(MemoryMarshal.AsBytes(new Span<FileStatus>(ref _rehearsed))))
            return $"{_path} has changed since its rehearsal";

        // Working folder and umask, which threads share, are this thread's own from here on. Where they are shared, no other thread can make one
        // while this one is in execve(2), which says nothing of it; the runtime ends the process then.
        _ = Libc.Unshare(Libc.UnshareFolders);
        _ = Libc.Execute(path.Pointers[0], arguments.Pointers, environment.Pointers);
        return $"{_path} cannot be executed: {Libc.Describe(Marshal.GetLastPInvokeError())}";
    }

    /// <summary>Reads what the rehearsal says, and waits for its end; it is killed if that does not come in time.</summary>
    private static string? Await(int process, int output, TimeSpan most)
    {
        List<byte> said = [];
        byte* buffer = stackalloc byte[4096];
        long end = Environment.TickCount64 + (long)most.TotalMilliseconds;
        int status = 0;
        for (bool hasEnded = false, isSilent = false; !hasEnded;)
        {
            int left = (int)Math.Max(0, end - Environment.TickCount64);
            if (left == 0)
            {
                _ = Libc.Signal(process, Libc.SignalKill);
                while (Libc.WaitFor(process, &status, 0) < 0 && Marshal.GetLastPInvokeError() == Errno.Interrupted)
                {
                }

                return $"the rehearsal was not done within {most.TotalSeconds:0} s";
            }

            if (isSilent)
            {
                // It has closed its output, which it does by ending. Where nobody can wait for it, since SIGCHLD is ignored, its words count.
                int ended = Libc.WaitFor(process, &status, Libc.WaitNoHang);
                hasEnded = ended == process || (ended < 0 && Marshal.GetLastPInvokeError() != Errno.Interrupted);
                if (!hasEnded) Thread.Sleep(1);
                continue;
            }

            PollRequest request = new() { Descriptor = output, Wanted = (short)Libc.EpollIn };
            if (Libc.Poll(&request, 1, left) <= 0) continue;
            nint count = Libc.Read(output, buffer, 4096);
            isSilent = count <= 0;
            if (count > 0 && said.Count < MostSaid) said.AddRange(new ReadOnlySpan<byte>(buffer, (int)count));
        }

        string[] lines = Encoding.UTF8.GetString([.. said]).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (status == 0 && lines is [Rehearsal.Ready]) return null;
        string how = (status & 0x7f) == 0 ? $"status {status >> 8 & 0xff}" : $"signal {status & 0x7f}";
        return lines.Length > 0 ? string.Join("; ", lines.Take(5).Select(WithoutName)) : $"the rehearsal ended with {how} and said nothing";
    }

    /// <summary>Problems are said with the program's name before them.</summary>
    private static string WithoutName(string line) => line.StartsWith(ProgramName, StringComparison.Ordinal) ? line[ProgramName.Length..] : line;

    private int Spawn(NativeStrings arguments, NativeStrings environment, int head, int output, out int process)
    {
        byte* actions = stackalloc byte[Libc.SpawnFileActionsBytes];
        using NativeStrings path = new([_path]);
        int child = 0;
        _ = Libc.BeginFileActions(actions);
        _ = Libc.AddDuplicate(actions, head, 0);
        _ = Libc.AddDuplicate(actions, output, 1);
        _ = Libc.AddDuplicate(actions, output, 2);

        // Clients' sockets are open over an exec: this is the only child that a service has, and it closes them before anything else.
        _ = Libc.AddCloseFrom(actions, FirstFree);
        int error = Libc.Spawn(&child, path.Pointers[0], actions, null, arguments.Pointers, environment.Pointers);
        _ = Libc.EndFileActions(actions);
        process = child;
        return error;
    }

    /// <summary>Which file the binary is, and when that was changed last; all zero where there is none.</summary>
    private FileStatus StatusOfBinary()
    {
        FileStatus all = default;
        using NativeStrings path = new([_path]);
        if (Libc.GetStatus(Libc.WorkingFolder, path.Pointers[0], 0, Libc.StatusBasic, &all) != 0) return default;
        return new FileStatus
        {
            Number = all.Number,
            Device = all.Device,
            ChangedSeconds = all.ChangedSeconds,
            ChangedNanoseconds = all.ChangedNanoseconds,
        };
    }

    private static List<string> Variables()
    {
        List<string> variables = [];
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables()) variables.Add($"{variable.Key}={variable.Value}");
        return variables;
    }

    /// <summary>The path by which the program was started, and not what that leads to: a link may lead elsewhere by the next time.</summary>
    private static string Locate(string name)
    {
        if (name.Contains('/')) return Path.GetFullPath(name);
        string? found = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
            .Where(folder => folder.Length > 0).Select(folder => Path.GetFullPath(Path.Combine(folder, name))).FirstOrDefault(File.Exists);
        return found ?? Environment.ProcessPath!;
    }
}
