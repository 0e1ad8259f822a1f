# Each line of vectors/list is an image, the options, and the file that must come out.
test: heqenc
	@while read -r image expected options; do \
		./heqenc -f $$options vectors/$$image vectors/out.heq && \
		cmp vectors/out.heq vectors/$$expected || exit 1; \
	done < vectors/list && rm -f vectors/out.heq && echo "all files as expected"
